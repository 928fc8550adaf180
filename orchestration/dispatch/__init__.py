"""From a stage of work to a worker and back: one interface, a process of this machine or a Ray job (ADR 18)."""
