using MailPipeline.ServiceDefaults;
using MailPipeline.Standalone;

SocketCompletions.Inline();
await using var output = new VisibleWriter(Console.Out);
await using var error = new VisibleWriter(Console.Error);
return await CommandTable.RunAsync(args, output, error);
