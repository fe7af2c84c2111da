#include "app/config.h"
#include "cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int cli_check_config(int argc, char **argv)
{
	int exit_code;
	struct config *config = cli_load_config(argc, argv, &exit_code);

	if (config)
		config_print(config, stdout);
	if (config && fflush(stdout) != 0) {
		fprintf(stderr, "martlet check-config: cannot write: %s\n", strerror(errno));
		exit_code = 1;
	}
	config_destroy(config);
	return exit_code;
}
