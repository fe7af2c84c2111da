#include "base/version.h"

#include "cli/cli.h"

#include <stdio.h>

int cli_version(int argc, char **argv)
{
	(void)argv;
	if (argc > 1) {
		fprintf(stderr, "usage: martlet version\n");
		return 2;
	}
	printf("martlet %s\n", MARTLET_VERSION);
	return 0;
}
