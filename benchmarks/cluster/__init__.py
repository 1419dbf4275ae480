"""What Warmfront costs on a real cluster: cold starts, the selector's overhead, the demo's texts as events."""
