CREATE TABLE `app` (
	`env` text NOT NULL,
	`id` text NOT NULL,
	`url` text NOT NULL,
	`sdk` text NOT NULL,
	`framework` text,
	`platform` text,
	`app_version` text,
	`synced_at` integer NOT NULL,
	`archived_at` integer,
	`revision` integer NOT NULL,
	PRIMARY KEY(`env`, `id`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `app_function` (
	`env` text NOT NULL,
	`id` text NOT NULL,
	`app_id` text NOT NULL,
	`url` text NOT NULL,
	`path` text NOT NULL,
	`config` text NOT NULL,
	`version` integer NOT NULL,
	`archived_at` integer,
	PRIMARY KEY(`env`, `id`)
) WITHOUT ROWID;
