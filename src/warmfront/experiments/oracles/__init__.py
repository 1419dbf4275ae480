"""What could be had by whoever knows the future: the yardsticks of the evaluation, never run live."""
