"""Other people's readers, behind one function each: what bfio writes is read by all of them."""
