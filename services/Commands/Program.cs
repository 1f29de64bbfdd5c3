using MailPipeline.Commands;

return await CommandLine.RunAsync(args, Terminal.Process);
