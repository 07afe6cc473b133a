//! CLAIMED by engineer "crash": random histories against a simple model. Nobody else writes in tests/model.
