"""The HTTP routes; each module makes one router."""
