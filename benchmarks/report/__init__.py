"""From samples to what is printed."""
