"""The only place with processes, sockets and clocks: one measured run, and experiments made of runs."""
