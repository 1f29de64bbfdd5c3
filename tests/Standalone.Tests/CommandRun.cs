namespace MailPipeline.Standalone.Tests;

/// <summary>Runs commands in this process, on a data folder that lives as long as a test.</summary>
internal sealed class CommandRun : IDisposable
{
    public string Folder { get; } = Directory.CreateTempSubdirectory("mailpipeline-test-").FullName;

    public string DataFolder => Path.Combine(Folder, "data");

    public void Dispose() => Directory.Delete(Folder, recursive: true);

    /// <summary>Runs with <c>--data</c> of this folder; the input is what stands on standard input.</summary>
    public async Task<CommandResult> RunAsync(string line, string input = "", Func<string, string?>? prompt = null, params string[] settings)
    {
        using var reader = new StringReader(input);
        using var output = new StringWriter();
        using var error = new StringWriter();
        string[] words = [.. line.Split(' ', StringSplitOptions.RemoveEmptyEntries), "--data", DataFolder, .. settings];
        var exitCode = await CommandTable.RunAsync(words, new Terminal(reader, output, error, prompt), TestContext.Current.CancellationToken);
        return new CommandResult(exitCode, output.ToString().TrimEnd(), error.ToString().TrimEnd());
    }
}

internal sealed record CommandResult(int ExitCode, string Output, string Error)
{
    public void ShouldBeDone(string output) => Assert.Equal(new CommandResult(0, output, ""), this);

    public void ShouldNotBeDone(string error) => Assert.Equal(new CommandResult(1, "", error), this);
}
