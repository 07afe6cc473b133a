//! Storage trees on disk, looked at without a server; never a network, and never a change that was not asked for.
