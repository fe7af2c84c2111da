#include "app/config.h"
#include "app/supervisor.h"
#include "base/log.h"
#include "cli/cli.h"

#include <string.h>

int cli_serve(int argc, char **argv)
{
	enum log_level level = LOG_INFO;
	int exit_code;
	struct config *config = cli_load_config(argc, argv, &exit_code);

	if (!config)
		return exit_code;
	if (log_level_from_text(config->node.log_level, &level))
		log_set_level(level);
	log_set_format(strcmp(config->node.log_format, "json") == 0 ? LOG_JSON : LOG_LOGFMT);
	exit_code = supervisor_run(config);
	config_destroy(config);
	return exit_code;
}
