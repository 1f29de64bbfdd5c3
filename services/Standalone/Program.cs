using MailPipeline.Standalone;

return await CommandTable.RunAsync(args, Terminal.Process);
