//! What strangers sent, made fit for a message; never a change of what is handed on.
