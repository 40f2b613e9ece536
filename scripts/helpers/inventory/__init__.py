"""What there is: listing resources, and the first look at an account."""
