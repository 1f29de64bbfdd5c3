using MailPipeline.Testing;

namespace MailPipeline.Queue.Tests;

internal static class Until
{
    public static Task TrueAsync(Func<Task<bool>> condition, string what) =>
        Eventually.TrueAsync(condition, TimeSpan.FromSeconds(30), () => "Waited for: " + what);
}
