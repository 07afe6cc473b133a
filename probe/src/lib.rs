//! Closures over the wire: one reference, or everything a catalog lists; never a file, a row or a server's insides.
