namespace MailPipeline.Testing;

/// <summary>Finds the programs that tests run. A missing one fails the test with the command that installs it.</summary>
public static class DebianProgram
{
    private static readonly string[] Folders = ["/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/sbin", "/usr/local/bin"];

    /// <summary>The full path of a program of a Debian package.</summary>
    public static string Find(string program, string package) =>
        TryFind(program) ?? throw Missing(program, package);

    /// <summary>The full path of a program that may be there; null when it is not.</summary>
    public static string? TryFind(string program) =>
        Folders.Select(folder => Path.Combine(folder, program)).FirstOrDefault(File.Exists);

    /// <summary>PostgreSQL keeps its server programs in a folder per version, outside of PATH.</summary>
    public static string FindPostgres(string program)
    {
        const string versions = "/usr/lib/postgresql";
        var newest = Directory.Exists(versions)
            ? Directory.GetDirectories(versions)
                .Select(folder => Path.Combine(folder, "bin", program))
                .Where(File.Exists)
                .MaxBy(path => double.Parse(path.Split('/')[4], System.Globalization.CultureInfo.InvariantCulture))
            : null;
        return newest ?? throw Missing(program, "postgresql");
    }

    private static FileNotFoundException Missing(string program, string package) =>
        new($"{program} is not installed. Install it with: apt-get install --no-install-recommends {package}");
}

/// <summary>A folder for one test, removed at its end. Other users can pass through it: servers drop root.</summary>
public sealed class TempFolder : IDisposable
{
    private const string Memory = "/dev/shm";
    private const long LeastMemory = 1L << 30;

    /// <param name="inMemory">Where the system has memory to spare for files: for what writes much that need not outlast anything.</param>
    public TempFolder(string name = "test", bool inMemory = false)
    {
        var root = inMemory && Directory.Exists(Memory) && new DriveInfo(Memory).AvailableFreeSpace >= LeastMemory ? Memory : Path.GetTempPath();
        FullPath = Path.Combine(root, $"mailpipeline-{name}-{Guid.NewGuid():N}"[..^20]);
        Directory.CreateDirectory(FullPath);
        if (!OperatingSystem.IsWindows())
            File.SetUnixFileMode(FullPath, (UnixFileMode)0b111_101_101);
    }

    public string FullPath { get; }

    /// <summary>A path inside.</summary>
    public string this[string name] => Path.Combine(FullPath, name);

    /// <summary>Makes a folder inside.</summary>
    public string CreateFolder(string name) => Directory.CreateDirectory(this[name]).FullName;

    /// <summary>Writes a file inside and returns its path.</summary>
    public string Write(string name, string text)
    {
        File.WriteAllText(this[name], text);
        return this[name];
    }

    /// <summary>Writes a file that only its owner can read, as programs with a password in their configuration demand.</summary>
    public string WriteSecret(string name, string text)
    {
        var path = Write(name, text);
        if (!OperatingSystem.IsWindows())
            File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        return path;
    }

    public void Dispose()
    {
        // Set this variable to keep the folders of failed runs for a look.
        if (Environment.GetEnvironmentVariable("MAILPIPELINE_KEEP_TEST_FOLDERS") is { Length: > 0 })
            return;
        try
        {
            Directory.Delete(FullPath, recursive: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // A server that is just ending may still write; the system's temporary folder is emptied by its own rules.
        }
    }
}
