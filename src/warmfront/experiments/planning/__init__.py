"""Planning a task's scaling: candidates played by the simulator on a trace, and the best of them as annotations."""
