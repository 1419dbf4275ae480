"""The selector's data plane: routes, objective, admission, forwarding, events, duplicates, over any HTTP front."""
