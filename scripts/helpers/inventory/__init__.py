"""The inventory: listing resources, and an overview of an account."""
