"""What the system tells about itself: metrics, logs, records. Nothing here decides or forwards."""
