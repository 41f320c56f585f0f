DROP INDEX `event_name`;--> statement-breakpoint
CREATE INDEX `event_name` ON `event` (`env`,`name`,`internal_id`) WHERE name <> 'inngest/function.finished';