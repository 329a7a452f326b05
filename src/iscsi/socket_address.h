/* Between the kernel's socket addresses and portal addresses as text. */
#pragma once

#include "iscsi/address.h"

#include <sys/socket.h>

/* PORTAL_TEXT_MAX bytes of "10.77.0.1:3260", "[fd00::1]:3260". */
void socket_address_text(const struct sockaddr_storage *socket_address, char *ret_text);
socklen_t socket_address_make(const struct portal_address *address,
                              struct sockaddr_storage *ret_socket_address);
