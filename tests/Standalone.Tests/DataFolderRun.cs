namespace MailPipeline.Standalone.Tests;

/// <summary>A working directory with a data folder, which live as long as a test.</summary>
internal sealed class DataFolderRun : IDisposable
{
    public string Folder { get; } = Directory.CreateTempSubdirectory("mailpipeline-test-").FullName;

    public string DataFolder => Path.Combine(Folder, "data");

    public void Dispose() => Directory.Delete(Folder, recursive: true);

    /// <summary>Runs the server in this process, for a start that is to fail.</summary>
    public async Task<ProgramResult> RunAsync(params string[] settings)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        var exitCode = await CommandTable.RunAsync(["--data", DataFolder, .. settings], output, error, TestContext.Current.CancellationToken);
        return new ProgramResult(exitCode, output.ToString().TrimEnd(), error.ToString().TrimEnd());
    }

    /// <summary>Runs a command of the operator's on the folder.</summary>
    public async Task<ProgramResult> MailAsync(params string[] words)
    {
        await using var mail = ServerProcess.StartMail(Folder, [.. words, "--data", DataFolder]);
        return await mail.EndAsync();
    }
}

internal sealed record ProgramResult(int ExitCode, string Output, string Error);
