"""What the addon costs."""
