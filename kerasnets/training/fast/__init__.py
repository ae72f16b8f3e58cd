"""What each backend computes a training with; nothing of it reaches a file."""
