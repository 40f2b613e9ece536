"""What really moves data: reading, transforming, delivering, schedules."""
