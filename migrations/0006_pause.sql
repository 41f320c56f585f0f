-- WITHOUT ROWID was added by hand, see src/store/schema.ts.
CREATE TABLE `pause` (
	`env` text NOT NULL,
	`function_id` text NOT NULL,
	`mode` text,
	`since` integer NOT NULL,
	`revision` integer NOT NULL,
	`told_to` text,
	PRIMARY KEY(`env`, `function_id`)
) WITHOUT ROWID;
