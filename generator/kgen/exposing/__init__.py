"""Which secret lies where, who can read it there, and what it is good for."""
