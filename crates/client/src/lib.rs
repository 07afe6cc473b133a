//! An OCI registry client: challenges, retries, redirects, verified streams; never a judgement about what is served.
