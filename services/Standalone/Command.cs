namespace MailPipeline.Standalone;

/// <summary>One thing the program can be told to do.</summary>
/// <param name="Word">What is typed; empty for the server.</param>
internal sealed record Command(string Word, string Summary, Func<Invocation, CancellationToken, Task<int>> Run);

/// <summary>A command with what it works on.</summary>
internal sealed record Invocation(Arguments Arguments, TextWriter Output, TextWriter Error);

/// <summary>How the process ends.</summary>
internal static class ExitCodes
{
    public const int Done = 0;
    public const int NotDone = 1;
    public const int BadStart = 2;
}
