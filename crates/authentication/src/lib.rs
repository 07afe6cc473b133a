//! Who is asking: the identity service, the password file, our own tokens, and the limits on guessing; never what an
//! account may do (`mcr-access`) nor a header or a status (the edge).
