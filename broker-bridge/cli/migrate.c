#include "store/migrate.h"

#include "app/config.h"
#include "cli/cli.h"

#include <stdio.h>

static void tell(const char *file)
{
	printf("applied %s\n", file);
}

int cli_migrate(int argc, char **argv)
{
	int exit_code;
	struct config *config = cli_load_config(argc, argv, &exit_code);
	struct outcome outcome;

	if (!config)
		return exit_code;
	outcome = migrate_run(config->database.connection, config->database.schema, tell);
	if (!outcome_is_ok(&outcome))
		fprintf(stderr, "martlet migrate: %s\n", outcome.text);
	config_destroy(config);
	return outcome_is_ok(&outcome) ? 0 : 1;
}
