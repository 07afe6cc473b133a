//! CLAIMED by engineer "rude": bad input. Nobody else writes in tests/bad_input.
