"""Sans-framework HTTP/1.1 on asyncio protocols and httptools: server, upstream pool, limits.

What may live here: framing, connections, timers, limits. What must not: any knowledge of tasks, events or policies.
"""
