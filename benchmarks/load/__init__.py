"""What is sent: one kind of request, as fast as it is answered or at a steady rate."""
