using MailPipeline.ServiceDefaults;
using MailPipeline.Standalone;

SocketCompletions.Inline();
return await CommandTable.RunAsync(args, Terminal.Process);
