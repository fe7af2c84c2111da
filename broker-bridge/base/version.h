/* version - which Martlet this is. */
#ifndef MARTLET_BASE_VERSION_H
#define MARTLET_BASE_VERSION_H

#define MARTLET_VERSION "0.1.0"

#endif
