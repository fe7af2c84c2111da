#include "app/config.h"
#include "cli/cli.h"

#include <stdio.h>

int cli_check_config(int argc, char **argv)
{
	int exit_code;
	struct config *config = cli_load_config(argc, argv, &exit_code);

	if (config)
		config_print(config, stdout);
	config_destroy(config);
	return exit_code;
}
