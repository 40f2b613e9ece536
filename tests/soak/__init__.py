"""What takes too long for every test run, as scripts of its own."""
