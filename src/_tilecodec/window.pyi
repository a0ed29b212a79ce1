CAN_READ: bool
