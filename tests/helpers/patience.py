"""How long tests wait for what should end."""

PATIENCE = 300  # seconds after which a process hangs, however slow or busy the machine
