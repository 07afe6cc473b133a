//! CLAIMED by engineer "crash": kills, full and read-only disks, lost writes. Nobody else writes in tests/crashes.
