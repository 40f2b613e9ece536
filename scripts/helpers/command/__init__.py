"""What every command shares: flags in, results out."""
