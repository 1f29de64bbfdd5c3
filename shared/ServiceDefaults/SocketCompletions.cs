namespace MailPipeline.ServiceDefaults;

/// <summary>
/// Lets the threads that wait for the sockets' events go on with what was awaited, where the runtime would pass each event on to the
/// thread pool. An SMTP dialogue is many short exchanges, and the change of thread is a large part of what one costs: measured with
/// 20 sessions of 2 KB messages, without it the same processors take a quarter fewer. There are as many such threads as processors,
/// so this is only for programs in which nothing blocks a thread while it waits for another socket.
/// </summary>
public static class SocketCompletions
{
    /// <summary>The runtime's own switch; what an operator has set stays.</summary>
    private const string Switch = "DOTNET_SYSTEM_NET_SOCKETS_INLINE_COMPLETIONS";

    /// <summary>To be called before the first socket is made: the runtime looks once.</summary>
    public static void Inline()
    {
        if (Environment.GetEnvironmentVariable(Switch) is null)
            Environment.SetEnvironmentVariable(Switch, "1");
    }
}
