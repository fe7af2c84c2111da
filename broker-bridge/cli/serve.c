#include "app/config.h"
#include "app/supervisor.h"
#include "cli/cli.h"

int cli_serve(int argc, char **argv)
{
	int exit_code;
	struct config *config = cli_load_config(argc, argv, &exit_code);

	if (!config)
		return exit_code;
	config_use_log(config);
	exit_code = supervisor_run(config);
	config_destroy(config);
	return exit_code;
}
