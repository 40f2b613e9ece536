"""One file for each kind of resource: its routes and views."""
