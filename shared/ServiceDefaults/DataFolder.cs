using System.Globalization;

namespace MailPipeline.ServiceDefaults;

/// <summary>
/// The folder that holds everything: database, content, certificate. While a server runs it holds the folder's lock, which
/// the kernel gives back when the process ends, however it ends.
/// </summary>
public sealed class DataFolder : IDisposable
{
    /// <summary>Its name unless another is given: in the working directory.</summary>
    public const string DefaultName = "data";

    private const string LockFile = "lock";

    private readonly FileStream _lock;

    private DataFolder(string path, FileStream lockFile)
    {
        FullPath = path;
        _lock = lockFile;
    }

    public string FullPath { get; }

    /// <summary>The connection string of the database in a folder.</summary>
    public static string ConnectionStringOf(string folder) => $"Data Source={Path.Combine(folder, "mail.db")}";

    /// <summary>Makes the folder when it is missing; nobody else on the machine may look into it.</summary>
    /// <exception cref="StartupException">It cannot be made or written.</exception>
    public static string Ensure(string folder)
    {
        var path = Path.GetFullPath(folder);
        try
        {
            if (!Directory.Exists(path))
            {
                if (OperatingSystem.IsWindows())
                    Directory.CreateDirectory(path);
                else
                    Directory.CreateDirectory(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            }
            // Reading alone is not enough, and access rights do not tell on every file system.
            using (new FileStream(Path.Combine(path, ".writable-" + Guid.NewGuid().ToString("N")), new FileStreamOptions
            {
                Mode = FileMode.CreateNew,
                Access = FileAccess.Write,
                Options = FileOptions.DeleteOnClose,
            }))
            {
                return path;
            }
        }
        catch (Exception unusable) when (unusable is IOException or UnauthorizedAccessException)
        {
            throw new StartupException($"--data is '{folder}'; it must be a folder this user can write: {unusable.Message}", unusable);
        }
    }

    /// <exception cref="StartupException">Another process works on it.</exception>
    public static DataFolder Lock(string folder)
    {
        var path = Ensure(folder);
        try
        {
            // FileShare.None is flock(LOCK_EX): gone with the process, never left behind by kill -9.
            var file = new FileStream(Path.Combine(path, LockFile), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            file.SetLength(0);
            file.Write(System.Text.Encoding.ASCII.GetBytes(Environment.ProcessId.ToString(CultureInfo.InvariantCulture) + "\n"));
            file.Flush();
            return new DataFolder(path, file);
        }
        catch (IOException taken)
        {
            throw new StartupException(
                $"--data is '{folder}', on which another process is running already; stop it, or choose another folder", taken);
        }
        catch (UnauthorizedAccessException denied)
        {
            throw new StartupException($"--data is '{folder}'; its file '{LockFile}' must be writable for this user: {denied.Message}", denied);
        }
    }

    public void Dispose() => _lock.Dispose();
}
