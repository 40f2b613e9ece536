"""What moves the data: reading, transforming, delivering, schedules."""
